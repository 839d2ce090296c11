#!/bin/sh
# Tunes a prompt for the built-in model on SST-2, scores it and answers two
# sentences with it, in a new folder under runs. make quickstart calls it when
# bin/softprompt is built.
set -eu
cd "$(dirname "$0")/.."

n=1
while test -e "runs/quickstart-$n"; do n=$((n + 1)); done
run=runs/quickstart-$n
mkdir -p runs

# say shows a command as one would type it, then runs it.
say() {
	printf '\n$'
	for word; do
		case $word in
		*' '*) printf ' "%s"' "$word" ;;
		*) printf ' %s' "$word" ;;
		esac
	done
	printf '\n'
	"$@"
}

say bin/softprompt train --config tools/quickstart.yaml --out "$run"
# --loss labels teaches to choose between the words, not to write them.
say bin/softprompt eval "$run" --decode rank
say bin/softprompt predict "$run" 'a gorgeous , witty , seductive movie .' 'it is slow , dull and far too long .'

printf '\nthe run lies in %s, its curve in %s/curve.png\n' "$run" "$run"
printf 'to tune a model of your own: bin/softprompt train --model M --task sst2 --out runs/mine\n'
