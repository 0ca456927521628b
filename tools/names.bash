# What the service knows is completed, too: the names of lights, presets and timers.
_dimmer_with_names() {
  local names name line=" ${COMP_WORDS[*]:0:COMP_CWORD} " start=${2#=}
  _dimmer "$@"
  # Bash makes three words of --light=desk.
  case ${line/% = / } in
  *" --light ") names=$(_dimmer_ask "$1" get | cut -d ' ' -f 1) ;;
  *" --recall " | *" preset"*" recall " | *" preset"*" forget ") names=$(_dimmer_ask "$1" preset list) ;;
  *" --name " | *" timer"*" cancel ")
    # A line is the time, the name and the rest as JSON.
    names=$(_dimmer_ask "$1" timer list | sed -E 's/^[^ ]+  (.*)  \{".*$/\1/')
    ;;
  *) return ;;
  esac
  COMPREPLY=()
  # No names of files.
  compopt +o bashdefault +o default 2>/dev/null
  while IFS= read -r name; do
    printf -v name %q "$name"
    [[ $name != "$start"* || -z $name ]] || COMPREPLY+=("$name")
  done < <(printf '%s' "${names:+$names$'\n'}")
}

# _dimmer_ask DIMMER ARGUMENT…: asks the service that the line names, or else that of DIMMER_URL.
_dimmer_ask() (
  # In COMP_WORDS a URL is in pieces.
  [[ ! $COMP_LINE =~ \ --url[\ =]+([^\ ]+) ]] || export DIMMER_URL=${BASH_REMATCH[1]//[\"\']/}
  [[ ! $COMP_LINE =~ \ --ca[\ =]+([^\ ]+) ]] || export DIMMER_CA=${BASH_REMATCH[1]//[\"\']/}
  "$@" 2>/dev/null </dev/null
)

complete -F _dimmer_with_names -o nosort -o bashdefault -o default dimmer
