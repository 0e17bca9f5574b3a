#!/usr/bin/env bash
# Writes a manual page (section 1) from what a program says when it is asked for --help.
# usage: man_page.sh PROGRAM NAME VERSION PAGE      NAME is the program's when it is installed
set -euo pipefail
program=$1
name=$2
version=$3
page=$4
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# By the name under which it is installed, which is that of the usage and the examples.
ln -s "$(realpath "$program")" "$folder/$name"
COLUMNS=1000 "$folder/$name" --help >"$folder/help"

# The first sentence that is not the usage says what the program is.
summary=$(awk -v RS= '!/^[Uu]sage/ { print; exit }' "$folder/help" | tr '\n' ' ' |
  sed -E 's/[.;:] .*//; s/^(.)/\l\1/')

# Lines that show the program being called are the examples.
examples() {
  sed -nE "s/^ +($name )/\1/p" "$folder/help" | sed 's/-/\\-/g'
}

# The program's exit statuses: see exit_status.h, and the scripts' first lines.
statuses() {
  local last=3 status text
  case $name in
    ebm_train | ebm_sample | ebm_evaluate) last=75 ;;
    ebm_fetch_dataset) last=2 ;;
  esac
  while read -r status text; do
    [[ $status -gt $last ]] || printf '.TP\n%s\n%s\n' "$status" "$text"
  done <<'END'
0 done
1 a failure while running, such as a full disk
2 a wrong command line or configuration
3 an input file is missing or malformed
4 training or sampling diverged
75 a signal stopped the run after its state was saved; \-\-resume goes on with it
END
}

cat >"$folder/sections" <<END
[EXAMPLES]
.nf
$(examples)
.fi

[EXIT STATUS]
$(statuses)

[FILES]
In the folder that ebm was installed into:
.TP
share/ebm/configs
the configurations
.TP
share/doc/ebm
the documentation
END

# help2man asks a program; this one answers in its idiom.
sed -i -E "/^ +$name /d; /^examples:/d; s/^( +-h),--/\1, --/; s/^(usage|options):/\u\1:/
  s/^(Positionals|positional arguments):/Arguments:/" "$folder/help"
rm "$folder/$name"
printf '#!/bin/sh\nexec cat "%s"\n' "$folder/help" >"$folder/$name"
chmod +x "$folder/$name"
help2man --no-info --version-string="$version" --source="ebm $version" --name="$summary" \
  --include="$folder/sections" --output="$folder/page" "$folder/$name"
# Without the date of the build, the same page comes out each time.
sed -E 's/^(\.TH [^ ]+ "1" )"[^"]*"/\1""/' "$folder/page" >"$page"
