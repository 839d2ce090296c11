package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"softprompt/onnx/hint"
)

const tokenizersModule = "github.com/daulet/tokenizers"

// tokenizers is the static library that the Go module of that name links: the
// Rust code that travels in the same module, built by cargo. The version is
// go.mod's; the library's symbols carry it, and any other fails at the link.
func (s *setup) tokenizers() (artifact, error) {
	version, err := requiredVersion(filepath.Join(s.root, "go.mod"), tokenizersModule)
	if err != nil {
		return artifact{}, err
	}
	name := fmt.Sprintf("tokenizers-%s-%s", version, strings.ReplaceAll(s.platform, "/", "-"))
	return artifact{
		name:  "libtokenizers.a " + version,
		tree:  filepath.Join(s.root, ".deps", "lib", "libtokenizers.a"),
		stamp: name,
		cache: name + ".a",
		needs: []tool{
			{"C compiler named cc", program("cc"), "gcc (Debian: build-essential; macOS: xcode-select --install)"},
			{"cargo", program("cargo"), "Rust 1.78 or newer (with rustup, or your system's package cargo)"},
		},
		making: "building with cargo, which takes a minute or two",
		make:   s.buildTokenizers,
	}, nil
}

// buildTokenizers copies the module out of Go's module cache, which is
// read-only, and builds the library there.
func (s *setup) buildTokenizers(ctx context.Context, scratch string) (string, error) {
	out, err := command(ctx, s.root, nil, "go", "mod", "download", "-json", tokenizersModule)
	if err != nil {
		return "", fmt.Errorf("getting its source: %w", err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil || module.Dir == "" {
		return "", fmt.Errorf("getting its source: go mod download said %q", out)
	}
	source := filepath.Join(scratch, "source")
	if err := os.CopyFS(source, os.DirFS(module.Dir)); err != nil {
		return "", fmt.Errorf("copying its source: %w", err)
	}
	target := filepath.Join(scratch, "target")
	if _, err := command(ctx, source, []string{"CARGO_TARGET_DIR=" + target}, "cargo", "build", "--release", "--locked"); err != nil {
		return "", hint.Wrap(err, "it takes Rust 1.78 or newer, a C and a C++ compiler, and cargo must reach its crates once")
	}
	return filepath.Join(target, "release", "libtokenizers.a"), nil
}

// requiredVersion is the version of module in a go.mod. It reads the text
// itself, since asking go takes longer than all else on the usual path, where
// nothing is missing.
func requiredVersion(gomod, module string) (string, error) {
	text, err := os.ReadFile(gomod)
	if err != nil {
		return "", err
	}
	match := regexp.MustCompile(`(?m)^(?:require)?\s+` + regexp.QuoteMeta(module) + `\s+(v\S+)`).FindSubmatch(text)
	if match == nil {
		return "", fmt.Errorf("%s does not require %s", gomod, module)
	}
	return string(match[1]), nil
}
