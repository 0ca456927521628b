
# What the service knows is completed, too: the names of lights and presets; not with --url, which may be another service.
function __fish_dimmer_names
    contains -- --url (commandline -opc)
    or dimmer $argv 2>/dev/null
end
complete -c dimmer -n "__fish_dimmer_using_subcommand set effect get timer" -l light -r -f -a "(__fish_dimmer_names get | string replace -r ' .*' '')"
complete -c dimmer -n "__fish_dimmer_using_subcommand preset; and __fish_seen_subcommand_from recall forget" -f -a "(__fish_dimmer_names preset list)"
complete -c dimmer -n "__fish_dimmer_using_subcommand timer" -l recall -r -f -a "(__fish_dimmer_names preset list)"
