package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"text/template"
)

const joinScript = "join.sh"

// joining is the script that puts the pieces together. It needs no more than
// what every Linux has, says which piece is missing, and leaves nothing behind
// that was not checked.
var joining = template.Must(template.New(joinScript).Parse(`#!/bin/sh
# Joins the pieces that lie beside this script, checks them and unpacks them:
#   sh join.sh [FOLDER]
# Then, in each shell: . FOLDER/env.sh && softprompt doctor --device cuda
set -eu
from=$(cd "$(dirname "$0")" && pwd)
to=${1:-$HOME/softprompt-gpu}
for piece in{{range .Pieces}} {{.}}{{end}}; do
	test -f "$from/$piece" || { echo "join: error: $piece is missing in $from" >&2; exit 1; }
done
sum=$(cd "$from" && cat{{range .Pieces}} {{.}}{{end}} | sha256sum | cut -d ' ' -f 1)
if test "$sum" != {{.Sum}}; then
	echo "join: error: the pieces in $from are damaged: their SHA-256 is $sum, want {{.Sum}}" >&2
	exit 1
fi
mkdir -p "$to"
to=$(cd "$to" && pwd)
(cd "$from" && cat{{range .Pieces}} {{.}}{{end}}) | tar -xzf - -C "$to"
cat >"$to/env.sh" <<'END'
# The CUDA libraries are those of this machine's PyTorch, where it has one.
softprompt_cuda=$(python3 -c '
import glob, os, sysconfig
print(":".join(sorted(glob.glob(os.path.join(sysconfig.get_paths()["purelib"], "nvidia", "*", "lib")))))' 2>/dev/null || true)
export LD_LIBRARY_PATH="$softprompt_cuda${softprompt_cuda:+:}${LD_LIBRARY_PATH:-}"
END
quoted=$(printf %s "$to" | sed "s/'/'\\\\''/g")
echo "export ONNXRUNTIME_SHARED_LIBRARY_PATH='$quoted/libonnxruntime.so'" >>"$to/env.sh"
echo "export PATH='$quoted':\"\$PATH\"" >>"$to/env.sh"
echo "joined in $to; now: . $to/env.sh && softprompt doctor --device cuda"
`))

// script returns the script for these pieces.
func (b *bundle) script() ([]byte, error) {
	var out bytes.Buffer
	err := joining.Execute(&out, struct {
		Pieces []string
		Sum    string
	}{b.pieces, b.sum})
	return out.Bytes(), err
}

// explain says in which order the pieces go.
func (b *bundle) explain(w io.Writer, dir string) {
	fmt.Fprintf(w, "%s: carry these to one folder of the machine, one after another, without a pause that would lose it:\n", dir)
	for i, piece := range b.pieces {
		fmt.Fprintf(w, "  %2d. %s (%.1f MiB)\n", i+1, filepath.Join(dir, piece), float64(b.sizes[i])/(1<<20))
	}
	fmt.Fprintf(w, "  %2d. %s, and there: sh join.sh FOLDER && . FOLDER/env.sh && softprompt doctor --device cuda\n", len(b.pieces)+1, filepath.Join(dir, joinScript))
	fmt.Fprintf(w, "SHA-256 of the whole: %s\n", b.sum)
}
