# Completion in bash for ebm's programs. Installed, it is found by itself; else `source` this file,
# which also knows the scripts by their names in the sources.
# Options are asked of the program, so they are always its own.
# shellcheck shell=bash

# The program's options: the words that begin with -- in the first column of its help.
_ebm_options() {
  "${1/#\~/$HOME}" --help 2>/dev/null | sed -nE 's/^ +(-h, ?)?(--[a-z-]+).*/\2/p'
}

# The dotted keys of a YAML configuration in the style of those in configs/.
_ebm_keys() {
  [[ -f $1 ]] || return 0
  awk '
    function prefix(  i, text) {
      for (i = 1; i <= depth; ++i) text = text sections[i] "."
      return text
    }
    /^ *-/ { next }  # an item of a list
    {
      sub(/#.*/, "")
      gsub(/\[[^]]*\]/, "list")
      match($0, /^ */)
      while (depth > flow && indents[depth] >= RLENGTH) --depth
      line = $0
      while (match(line, /[a-z_0-9]+: *|[{}]/)) {
        token = substr(line, RSTART, RLENGTH)
        line = substr(line, RSTART + RLENGTH)
        if (token == "}") {
          --depth
          --flow
        } else if (token != "{") {
          key = token
          sub(/: */, "", key)
          if (line ~ /^ *[{]/) {
            sub(/^ *[{]/, "", line)
            ++flow
            sections[++depth] = key
          } else if (line ~ /^ *$/) {
            match($0, /^ */)
            sections[++depth] = key
            indents[depth] = RLENGTH
          } else {
            print prefix() key
          }
        }
      }
    }' "$1"
}

# Adds the words that begin with $1 to the replies.
_ebm_reply() {
  local start=$1 word
  shift
  for word in "$@"; do
    [[ $word != "$start"* ]] || COMPREPLY+=("$word")
  done
}

# Replies with folders and the files of these extensions that begin with $1.
_ebm_reply_files() {
  local start=$1 extension paths
  shift
  mapfile -t COMPREPLY < <(compgen -d -- "$start")
  for extension in "$@"; do
    mapfile -t paths < <(compgen -f -X "!*.$extension" -- "$start")
    COMPREPLY+=("${paths[@]}")
  done
  compopt -o filenames 2>/dev/null  # fails outside of a completion, in a test
}

# Replies with all files and folders that begin with $1.
_ebm_reply_any_file() {
  mapfile -t COMPREPLY < <(compgen -f -- "$1")
  compopt -o filenames 2>/dev/null  # as above
}

# The first word on the command line that is neither an option nor the value of one.
_ebm_configuration() {
  local i
  for ((i = 1; i < ${#COMP_WORDS[@]}; ++i)); do
    case ${COMP_WORDS[i]} in
      --quiet | --with-bank | --help | --reference | --version) ;;
      --*) ((++i)) ;;
      *.yaml | *.yml) echo "${COMP_WORDS[i]/#\~/$HOME}" && return ;;
    esac
  done
}

_ebm() {
  local program=$1 current=$2 previous=$3 words
  COMPREPLY=()
  case $previous in
    --device) _ebm_reply "$current" auto cpu cuda ;;
    --network) _ebm_reply "$current" toy vanilla nonlocal ;;
    --out | --resume) _ebm_reply_files "$current" ;;
    --checkpoint | --from) _ebm_reply_files "$current" safetensors ;;
    =) _ebm_reply_files "$current" safetensors ;;  # bash splits KEY=VALUE
    --energy | --gradient) _ebm_reply_files "$current" npy ;;
    --input | --against) _ebm_reply_any_file "$current" ;;
    --scores) _ebm_reply_files "$current" csv ;;
    --layers) _ebm_reply_files "$current" yaml yml ;;
    --style) _ebm_reply_files "$current" gp ;;
    --threads | --channels | --features | --gpu | --batch | --precision) ;;
    --noise | --draws | --seed) ;;
    --epsilon | --entry) ;;
    --set)
      mapfile -t words < <(_ebm_keys "$(_ebm_configuration)")
      _ebm_reply "$current" "${words[@]/%/=}"
      compopt -o nospace 2>/dev/null
      ;;
    *)
      if [[ $current == -* ]]; then
        mapfile -t words < <(_ebm_options "$program")
        _ebm_reply "$current" "${words[@]}"
      else
        case $program in
          *ebm_train | *ebm_plans) _ebm_reply_files "$current" yaml yml json ;;
          *ebm_sample | *ebm_evaluate) _ebm_reply_files "$current" yaml yml json safetensors ;;
          *ebm_plot) _ebm_reply_files "$current" ;;
          *ebm_score)
            if [[ $COMP_CWORD == 1 ]]; then
              _ebm_reply_files "$current" safetensors
            else
              _ebm_reply_any_file "$current"
            fi
            ;;
          *convert_checkpoint*) _ebm_reply_files "$current" pth pt safetensors ;;
          *fetch_dataset*)
            if [[ $previous == *fetch_dataset* ]]; then
              _ebm_reply "$current" mnist cifar10 flowers102
            else
              _ebm_reply_files "$current"
            fi
            ;;
        esac
      fi
      ;;
  esac
}

complete -F _ebm ebm_train ebm_sample ebm_evaluate ebm_plot ebm_score ebm_plans \
  ebm_convert_checkpoint convert_checkpoint.py ebm_fetch_dataset fetch_dataset.sh
