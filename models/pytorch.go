package models

import (
	"bytes"
	"errors"
	"fmt"

	"softprompt/onnx/hint"
)

// OpenPyTorch opens a pytorch_model.bin, or a sharded checkpoint by its
// pytorch_model.bin.index.json, as torch.save writes the state dict of a
// model: the zip format, and the one from before PyTorch 1.6. The caller
// closes it.
//
// Such a file holds a pickle, which for Python is a program. Here it can name
// tensors and dictionaries and nothing else, and nothing of it is ever run; a
// file that wants more is refused. Storages are mapped, never read as a whole,
// and tensors may share one, as tied weights do. What is no tensor in the
// dictionary is passed over.
func OpenPyTorch(path string) (*Checkpoint, error) { return openCheckpoint(path, readPyTorch) }

// stateDictHint tells how to make a file of what is refused.
const stateDictHint = "take the model's safetensors, or save its weights alone in Python: torch.save(model.state_dict(), \"pytorch_model.bin\")"

// readPyTorch finds the tensors of a file in either format.
func readPyTorch(file []byte) ([]tensor, map[string]string, error) {
	var tensors []tensor
	var err error
	switch {
	case bytes.HasPrefix(file, []byte("PK")):
		tensors, err = readPyTorchZip(file)
	case isPyTorchLegacy(file):
		tensors, err = readPyTorchLegacy(file)
	case bytes.HasPrefix(file, []byte(lfsPointer)):
		return nil, nil, errPointer
	default:
		err = fmt.Errorf("not a PyTorch file: it starts with %.16q, wanted the zip of torch.save or the magic number of PyTorch before 1.6", file[:min(16, len(file))])
	}
	var forbidden forbiddenError
	switch {
	case err != nil && (hint.Of(err) != ""):
		return nil, nil, err
	case errors.As(err, &forbidden):
		return nil, nil, hint.Wrap(err, stateDictHint)
	case err != nil:
		return nil, nil, hint.Wrap(err, damaged)
	}
	return tensors, nil, nil
}

// namedViews returns the tensors of a state dict in its order.
func namedViews(value any) (names []string, views []*view, err error) {
	d, ok := value.(*pyDict)
	if !ok {
		return nil, nil, hint.Wrap(fmt.Errorf("the pickle is %s, wanted a state dict", kind(value)), stateDictHint)
	}
	seen := map[string]bool{}
	for _, e := range d.entries {
		name, okName := e.key.(string)
		v, okView := e.value.(*view)
		if !okName || !okView {
			continue
		}
		if seen[name] {
			return nil, nil, fmt.Errorf("tensor %.80q comes twice", name)
		}
		seen[name] = true
		names, views = append(names, name), append(views, v)
	}
	if len(names) > 0 {
		return names, views, nil
	}
	for _, e := range d.entries {
		if inner, ok := e.value.(*pyDict); ok && len(inner.entries) > 0 {
			if _, ok := inner.entries[0].value.(*view); ok {
				name, _ := e.key.(string)
				return nil, nil, hint.Wrap(fmt.Errorf("a training checkpoint, with the tensors under %.40q, wanted a state dict", name),
					"unpack it in Python: torch.save(torch.load(file)[%.40q], \"pytorch_model.bin\")", name)
			}
		}
	}
	return nil, nil, hint.Wrap(errors.New("the dictionary holds no tensor, wanted a state dict"), stateDictHint)
}
