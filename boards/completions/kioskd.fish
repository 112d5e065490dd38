# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_kioskd_global_optspecs
    string join \n h/help V/version
end

function __fish_kioskd_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_kioskd_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_kioskd_using_subcommand
    set -l cmd (__fish_kioskd_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c kioskd -n "__fish_kioskd_needs_command" -s h -l help -d 'Print help'
complete -c kioskd -n "__fish_kioskd_needs_command" -s V -l version -d 'Print version'
complete -c kioskd -n "__fish_kioskd_needs_command" -f -a "run" -d 'Run the kiosk until SIGTERM. The log goes to stderr (RUST_LOG, default info)'
complete -c kioskd -n "__fish_kioskd_needs_command" -f -a "press" -d 'Press the button of the running kiosk'
complete -c kioskd -n "__fish_kioskd_needs_command" -f -a "hangup" -d 'End the call of the running kiosk, if there is one'
complete -c kioskd -n "__fish_kioskd_needs_command" -f -a "status" -d 'Say how the running kiosk is doing'
complete -c kioskd -n "__fish_kioskd_needs_command" -f -a "metrics" -d 'Say the running kiosk\'s numbers, as Prometheus text'
complete -c kioskd -n "__fish_kioskd_needs_command" -f -a "may-reboot" -d 'Whether this board may be rebooted now: not within an hour of the last time. For kioskd-reboot.service'
complete -c kioskd -n "__fish_kioskd_needs_command" -f -a "doctor" -d 'Try every part of the kiosk, and say in a line what is wrong with it and what to do. Exits with 0 when all is well, 1 with warnings, 2 when something does not work. As root it also says who holds a busy device'
complete -c kioskd -n "__fish_kioskd_needs_command" -f -a "check-config" -d 'Read the configuration and the files it names, and say what is wrong with them'
complete -c kioskd -n "__fish_kioskd_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kioskd -n "__fish_kioskd_using_subcommand run" -l config -d 'kioskd.toml' -r -F
complete -c kioskd -n "__fish_kioskd_using_subcommand run" -l boards-dir -d 'Where board files are looked for first' -r -F
complete -c kioskd -n "__fish_kioskd_using_subcommand run" -l runtime-dir -d 'Where the control socket is; $RUNTIME_DIRECTORY, else /run/kioskd' -r -F
complete -c kioskd -n "__fish_kioskd_using_subcommand run" -l media-socket -d 'The socket at which systemd starts media workers, unless the configuration names a worker of its own' -r -F
complete -c kioskd -n "__fish_kioskd_using_subcommand run" -l state-dir -d 'Where a renewed ticket is kept; $STATE_DIRECTORY, else nowhere' -r -F
complete -c kioskd -n "__fish_kioskd_using_subcommand run" -l button-stdin -d 'Each line of standard input is a press even when it is no terminal'
complete -c kioskd -n "__fish_kioskd_using_subcommand run" -s h -l help -d 'Print help'
complete -c kioskd -n "__fish_kioskd_using_subcommand press" -l runtime-dir -d 'Where the control socket is; $RUNTIME_DIRECTORY, else /run/kioskd' -r -F
complete -c kioskd -n "__fish_kioskd_using_subcommand press" -s h -l help -d 'Print help'
complete -c kioskd -n "__fish_kioskd_using_subcommand hangup" -l runtime-dir -d 'Where the control socket is; $RUNTIME_DIRECTORY, else /run/kioskd' -r -F
complete -c kioskd -n "__fish_kioskd_using_subcommand hangup" -s h -l help -d 'Print help'
complete -c kioskd -n "__fish_kioskd_using_subcommand status" -l runtime-dir -d 'Where the control socket is; $RUNTIME_DIRECTORY, else /run/kioskd' -r -F
complete -c kioskd -n "__fish_kioskd_using_subcommand status" -l json -d 'Everything, as one JSON object'
complete -c kioskd -n "__fish_kioskd_using_subcommand status" -s h -l help -d 'Print help'
complete -c kioskd -n "__fish_kioskd_using_subcommand metrics" -l runtime-dir -d 'Where the control socket is; $RUNTIME_DIRECTORY, else /run/kioskd' -r -F
complete -c kioskd -n "__fish_kioskd_using_subcommand metrics" -s h -l help -d 'Print help'
complete -c kioskd -n "__fish_kioskd_using_subcommand may-reboot" -s h -l help -d 'Print help'
complete -c kioskd -n "__fish_kioskd_using_subcommand doctor" -l config -d 'kioskd.toml' -r -F
complete -c kioskd -n "__fish_kioskd_using_subcommand doctor" -l boards-dir -d 'Where board files are looked for first' -r -F
complete -c kioskd -n "__fish_kioskd_using_subcommand doctor" -l runtime-dir -d 'Where the control socket is; $RUNTIME_DIRECTORY, else /run/kioskd' -r -F
complete -c kioskd -n "__fish_kioskd_using_subcommand doctor" -l state-dir -d 'Where a renewed ticket is kept; $STATE_DIRECTORY, else /var/lib/kioskd' -r -F
complete -c kioskd -n "__fish_kioskd_using_subcommand doctor" -l picture -d 'Save what the camera sees there: PNG when the name ends so, else JPEG' -r -F
complete -c kioskd -n "__fish_kioskd_using_subcommand doctor" -l json -d 'Everything, as one JSON object'
complete -c kioskd -n "__fish_kioskd_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c kioskd -n "__fish_kioskd_using_subcommand check-config" -l config -d 'kioskd.toml' -r -F
complete -c kioskd -n "__fish_kioskd_using_subcommand check-config" -l boards-dir -d 'Where board files are looked for first' -r -F
complete -c kioskd -n "__fish_kioskd_using_subcommand check-config" -s h -l help -d 'Print help'
complete -c kioskd -n "__fish_kioskd_using_subcommand help; and not __fish_seen_subcommand_from run press hangup status metrics may-reboot doctor check-config help" -f -a "run" -d 'Run the kiosk until SIGTERM. The log goes to stderr (RUST_LOG, default info)'
complete -c kioskd -n "__fish_kioskd_using_subcommand help; and not __fish_seen_subcommand_from run press hangup status metrics may-reboot doctor check-config help" -f -a "press" -d 'Press the button of the running kiosk'
complete -c kioskd -n "__fish_kioskd_using_subcommand help; and not __fish_seen_subcommand_from run press hangup status metrics may-reboot doctor check-config help" -f -a "hangup" -d 'End the call of the running kiosk, if there is one'
complete -c kioskd -n "__fish_kioskd_using_subcommand help; and not __fish_seen_subcommand_from run press hangup status metrics may-reboot doctor check-config help" -f -a "status" -d 'Say how the running kiosk is doing'
complete -c kioskd -n "__fish_kioskd_using_subcommand help; and not __fish_seen_subcommand_from run press hangup status metrics may-reboot doctor check-config help" -f -a "metrics" -d 'Say the running kiosk\'s numbers, as Prometheus text'
complete -c kioskd -n "__fish_kioskd_using_subcommand help; and not __fish_seen_subcommand_from run press hangup status metrics may-reboot doctor check-config help" -f -a "may-reboot" -d 'Whether this board may be rebooted now: not within an hour of the last time. For kioskd-reboot.service'
complete -c kioskd -n "__fish_kioskd_using_subcommand help; and not __fish_seen_subcommand_from run press hangup status metrics may-reboot doctor check-config help" -f -a "doctor" -d 'Try every part of the kiosk, and say in a line what is wrong with it and what to do. Exits with 0 when all is well, 1 with warnings, 2 when something does not work. As root it also says who holds a busy device'
complete -c kioskd -n "__fish_kioskd_using_subcommand help; and not __fish_seen_subcommand_from run press hangup status metrics may-reboot doctor check-config help" -f -a "check-config" -d 'Read the configuration and the files it names, and say what is wrong with them'
complete -c kioskd -n "__fish_kioskd_using_subcommand help; and not __fish_seen_subcommand_from run press hangup status metrics may-reboot doctor check-config help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
