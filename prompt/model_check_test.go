package prompt

import (
	"errors"
	"strings"
	"testing"

	"softprompt/models"
	"softprompt/onnx/hint"
)

// TestCheckModelSizes: a prompt whose tensors depend on more of the model than its
// width fits the model that it was made for, and no model with other heads,
// layers or inner widths.
func TestCheckModelSizes(t *testing.T) {
	others := map[string]func(*models.Config){
		"encoder": func(c *models.Config) { c.NumLayers++ }, "decoder": func(c *models.Config) { c.NumDecoderLayers++ },
		"heads": func(c *models.Config) { c.NumHeads++ }, "head": func(c *models.Config) { c.DKV++ }, "ff": func(c *models.Config) { c.DFF++ },
		"fewer": func(c *models.Config) { c.NumLayers-- }, "vocabulary": func(c *models.Config) { c.VocabSize++ }, "head of its own": func(c *models.Config) { c.TieWordEmbeddings = false },
	}
	for method, differ := range map[string]string{ // the sizes that a method's tensors show
		MethodPromptTuning: "", MethodADePT: "", MethodMultitask: "",
		MethodPerLayer: "encoder fewer", MethodPerLayerAdd: "encoder fewer",
		MethodPrefix: "encoder decoder heads head fewer", MethodPrefixMLP: "encoder decoder heads head fewer",
		MethodIA3: "encoder decoder heads head ff fewer", MethodModel: "encoder decoder heads head ff fewer vocabulary own",
	} {
		p := randomPromptOf(methodOf(t, method, Sizes{Length: 2, Rank: 2, Hidden: 3}), 1)
		if err := p.CheckModel(models.Fingerprint{}, hooked, ""); err != nil {
			t.Errorf("%s: its own model: %v", method, err)
		}
		for what, change := range others {
			c := hooked
			change(&c)
			words := strings.Fields(what)
			wrong := false
			for _, w := range strings.Fields(differ) {
				wrong = wrong || w == words[len(words)-1]
			}
			err := p.CheckModel(models.Fingerprint{}, c, "")
			if wrong != errors.Is(err, ErrOtherModel) || !wrong && err != nil {
				t.Errorf("%s: a model of another %s: %v", method, what, err)
			}
		}
		wide := hooked
		wide.DModel++
		if err := p.CheckModel(models.Fingerprint{}, wide, ""); err == nil || err.Error() != "the prompt is for another model: its vectors have width 6, the model's 7" {
			t.Errorf("%s: a wider model: %v", method, err)
		}
	}
}

// TestCheckModelAdvice: the advice names the model, with its revision where the
// prompt knows it, and none where it knows nothing.
func TestCheckModelAdvice(t *testing.T) {
	p := New([]float32{1, 2}, 1, 2)
	for _, c := range []struct{ model, revision, want string }{
		{"", "", "use the prompt with the model that it was tuned for"},
		{"", "abc", "use the prompt with the model that it was tuned for"},
		{"google/t5-small", "", "use the prompt with the model that it was tuned for: google/t5-small"},
		{"google/t5-small", "abc", "use the prompt with the model that it was tuned for: google/t5-small@abc"},
	} {
		p.Meta.BaseModel, p.Meta.Revision = c.model, c.revision
		if err := p.CheckModel(models.Fingerprint{}, hooked, ""); hint.Of(err) != c.want {
			t.Errorf("%q of %q: hint %q", c.model, c.revision, hint.Of(err))
		}
	}
}

// TestCheckModelTokenizer: two tokenizers are told apart where both are known,
// by the beginnings of their hashes.
func TestCheckModelTokenizer(t *testing.T) {
	p := New(make([]float32, 6), 1, 6)
	for _, c := range []struct{ own, others, want string }{
		{"", "", ""},
		{"aa", "", ""},
		{"", "bb", ""},
		{"aa", "aa", ""},
		{"aa", "bb", "the prompt is for another tokenizer: its tokenizer has hash aa, the model's bb"},
		{"0123456789abcdef", "0123456789abXXXX", "the prompt is for another tokenizer: its tokenizer has hash 0123456789ab, the model's 0123456789ab"},
	} {
		p.Meta.TokenizerHash = c.own
		err := p.CheckModel(models.Fingerprint{}, hooked, c.others)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrOtherTokenizer) || err.Error() != c.want) {
			t.Errorf("%q and %q: %v", c.own, c.others, err)
		}
	}
}
