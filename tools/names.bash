# What the service knows is completed, too: the names of lights and presets.
_dimmer_with_names() {
  local names name
  _dimmer "$@"
  case " ${COMP_WORDS[*]:0:COMP_CWORD} " in
  # That may be another service than the one of DIMMER_URL.
  *" --url "*) return ;;
  *" --light ") names=$("$1" get 2>/dev/null | cut -d ' ' -f 1) ;;
  *" --recall " | *" preset "*"recall " | *" preset "*"forget ") names=$("$1" preset list 2>/dev/null) ;;
  *) return ;;
  esac
  COMPREPLY=()
  # No names of files.
  compopt +o bashdefault +o default 2>/dev/null
  while IFS= read -r name; do
    printf -v name %q "$name"
    [[ $name != "$2"* || -z $name ]] || COMPREPLY+=("$name")
  done < <(printf '%s' "${names:+$names$'\n'}")
}

complete -F _dimmer_with_names -o nosort -o bashdefault -o default dimmer
