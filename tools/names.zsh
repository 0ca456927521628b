# What the service knows is completed, too: the names of lights and presets; not with --url, which may be another service.
_dimmer_lights() {
    (( ${words[(I)--url]} )) && return 1
    local -a lines=(${(f)"$(dimmer get 2>/dev/null)"})
    compadd -- ${lines%% *}
}

_dimmer_presets() {
    (( ${words[(I)--url]} )) && return 1
    local -a names=(${(f)"$(dimmer preset list 2>/dev/null)"})
    compadd -- $names
}

