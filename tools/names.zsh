# What the service knows is completed, too: the names of lights, presets and timers.
_dimmer_lights() {
    local -a lines=(${(f)"$(_dimmer_ask get)"})
    compadd -- ${lines%% *}
}

_dimmer_presets() {
    local -a names=(${(f)"$(_dimmer_ask preset list)"})
    compadd -- $names
}

_dimmer_timers() {
    # A line is the time, the name and the rest as JSON.
    local -a lines=(${(f)"$(_dimmer_ask timer list)"})
    compadd -- ${${lines#*  }%  \{\"*}
}

# _dimmer_ask ARGUMENT…: asks the service that the line names, or else that of DIMMER_URL.
_dimmer_ask() {
    local name value
    local -i at
    for name in URL CA; do
        at=${_dimmer_line[(I)--${(L)name}(|=*)]}
        (( at )) || continue
        value=${_dimmer_line[at]#--*=}
        [[ $value != --* ]] || value=$_dimmer_line[at+1]
        local -x "DIMMER_$name=$value"
    done
    dimmer "$@" 2>/dev/null </dev/null
}

