
# What the service knows is completed, too: the names of lights, presets and timers.

# Asks the service that the line names, or else that of DIMMER_URL.
function __fish_dimmer_ask
    set -l question $argv
    argparse --ignore-unknown url= ca= -- (commandline -opc) 2>/dev/null
    or return
    set -q _flag_url; and set -lx DIMMER_URL $_flag_url
    set -q _flag_ca; and set -lx DIMMER_CA $_flag_ca
    dimmer $question 2>/dev/null </dev/null
end

# A line is the time, the name and the rest as JSON.
function __fish_dimmer_timers
    __fish_dimmer_ask timer list | string replace -r '^\S+  (.*)  \{".*$' '$1'
end

complete -c dimmer -n "__fish_dimmer_using_subcommand set effect get timer" -l light -r -f -a "(__fish_dimmer_ask get | string replace -r ' .*' '')"
complete -c dimmer -n "__fish_dimmer_using_subcommand preset; and __fish_seen_subcommand_from recall forget" -f -a "(__fish_dimmer_ask preset list)"
complete -c dimmer -n "__fish_dimmer_using_subcommand timer" -l recall -r -f -a "(__fish_dimmer_ask preset list)"
complete -c dimmer -n "__fish_dimmer_using_subcommand timer" -l name -r -f -a "(__fish_dimmer_timers)"
complete -c dimmer -n "__fish_dimmer_using_subcommand timer; and __fish_seen_subcommand_from cancel" -f -a "(__fish_dimmer_timers)"
