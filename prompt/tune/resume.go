package tune

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"softprompt/onnx/hint"
	"softprompt/onnx/ort"
	"softprompt/prompt"
)

// ResumeAll is [Resume] for a folder of one run or, made by [TrainAll], of
// several.
func ResumeAll(ctx context.Context, rt *ort.Runtime, opts Options) ([]*Result, error) {
	named, err := readRuns(opts.Out)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range named {
		names = append(names, r.Name)
	}
	for k := range max(1, len(names)) {
		sweep(folderOf(opts.Out, names, k))
	}
	sweep(opts.Out)
	states, err := loadStates(opts.Out)
	if errors.Is(err, fs.ErrNotExist) {
		return restart(ctx, rt, named, names, opts)
	}
	if err != nil {
		return nil, err
	}
	if len(states) != max(1, len(names)) {
		return nil, fmt.Errorf("resuming run %s: its state is of %d runs, %s names %d", opts.Out, len(states), RunsFile, len(names))
	}
	var settings []Settings
	for _, st := range states {
		settings = append(settings, pinned(st.Settings, st.Revision))
	}
	all, err := newSetups(ctx, rt, settings, names, opts)
	if err != nil {
		return nil, err
	}
	defer all[0].shared.Close()
	for k, u := range all {
		u.settings = states[k].Settings
		if err := u.sameModel(states[k], opts.Out); err != nil {
			return nil, err
		}
	}
	return runAll(ctx, all, states, names, opts)
}

// sameModel reports a model that is not the one the run began with.
func (u *setup) sameModel(st *state, dir string) error {
	was := prompt.Prompt{Meta: prompt.Meta{DModel: u.meta.DModel, Fingerprint: st.Fingerprint, TokenizerHash: st.Tokenizer}}
	fp, err := u.model.Fingerprint()
	if err != nil {
		return err
	}
	if err := was.CheckModel(fp, u.model.Config, u.meta.TokenizerHash); err != nil {
		return fmt.Errorf("resuming run %s: model %s is not what it was: %w", dir, st.Settings.Model, err)
	}
	return nil
}

// restart begins runs anew that were killed before they saved anything but
// their settings.
func restart(ctx context.Context, rt *ort.Runtime, named []Named, names []string, opts Options) ([]*Result, error) {
	if named == nil {
		s, err := ReadSettings(opts.Out)
		if err != nil {
			return nil, err
		}
		named = []Named{{Settings: s}}
	}
	var settings []Settings
	for k, r := range named {
		dir := folderOf(opts.Out, names, k)
		if _, err := os.Stat(filepath.Join(dir, PromptFile)); err == nil {
			return nil, hint.Wrap(fmt.Errorf("resuming run %s: it has a prompt, but no %s to go on from", dir, stateFile),
				"the prompt can be used as it is; to tune another, give a new --out")
		}
		settings = append(settings, r.Settings)
	}
	all, err := newSetups(ctx, rt, settings, names, opts)
	if err != nil {
		return nil, err
	}
	defer all[0].shared.Close()
	if err := planAll(ctx, all); err != nil {
		return nil, err
	}
	// The settings are as complete as those of a run that was not killed.
	if err := fillFolders(opts.Out, names, all); err != nil {
		return nil, err
	}
	return begin(ctx, all, names, opts)
}
