# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_roomservice_global_optspecs
    string join \n h/help V/version
end

function __fish_roomservice_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_roomservice_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_roomservice_using_subcommand
    set -l cmd (__fish_roomservice_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c roomservice -n "__fish_roomservice_needs_command" -s h -l help -d 'Print help'
complete -c roomservice -n "__fish_roomservice_needs_command" -s V -l version -d 'Print version'
complete -c roomservice -n "__fish_roomservice_needs_command" -f -a "serve" -d 'Serve until SIGTERM. The first line on stdout is the address'
complete -c roomservice -n "__fish_roomservice_needs_command" -f -a "keygen" -d 'Make the keys userSig tickets are signed with: private.pem, public.pem (v1), secret.hex (v2)'
complete -c roomservice -n "__fish_roomservice_needs_command" -f -a "sign" -d 'Print a userSig ticket'
complete -c roomservice -n "__fish_roomservice_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c roomservice -n "__fish_roomservice_using_subcommand serve" -l config -d 'roomservice.toml' -r -F
complete -c roomservice -n "__fish_roomservice_using_subcommand serve" -l listen -d 'Instead of `listen` of the configuration; port 0 takes any' -r
complete -c roomservice -n "__fish_roomservice_using_subcommand serve" -l advertise -d 'An address members are told to send media to; may be repeated' -r
complete -c roomservice -n "__fish_roomservice_using_subcommand serve" -l dev -d 'Loopback, plain HTTP, a key made now, tickets for anybody who asks, no roles'
complete -c roomservice -n "__fish_roomservice_using_subcommand serve" -s h -l help -d 'Print help'
complete -c roomservice -n "__fish_roomservice_using_subcommand keygen" -l out -d 'Where to; nothing is overwritten' -r -F
complete -c roomservice -n "__fish_roomservice_using_subcommand keygen" -s h -l help -d 'Print help'
complete -c roomservice -n "__fish_roomservice_using_subcommand sign" -l user -d 'Whose ticket' -r
complete -c roomservice -n "__fish_roomservice_using_subcommand sign" -l config -d 'Take the key and the application from roomservice.toml' -r -F
complete -c roomservice -n "__fish_roomservice_using_subcommand sign" -l key -d 'A private key (PEM, v1) or a secret (v2)' -r -F
complete -c roomservice -n "__fish_roomservice_using_subcommand sign" -l sdk-app-id -d 'The application' -r
complete -c roomservice -n "__fish_roomservice_using_subcommand sign" -l days -d 'How long it is good' -r
complete -c roomservice -n "__fish_roomservice_using_subcommand sign" -l v1 -d 'Only with an ECDSA key'
complete -c roomservice -n "__fish_roomservice_using_subcommand sign" -l v2 -d 'Only with a secret'
complete -c roomservice -n "__fish_roomservice_using_subcommand sign" -s h -l help -d 'Print help'
complete -c roomservice -n "__fish_roomservice_using_subcommand help; and not __fish_seen_subcommand_from serve keygen sign help" -f -a "serve" -d 'Serve until SIGTERM. The first line on stdout is the address'
complete -c roomservice -n "__fish_roomservice_using_subcommand help; and not __fish_seen_subcommand_from serve keygen sign help" -f -a "keygen" -d 'Make the keys userSig tickets are signed with: private.pem, public.pem (v1), secret.hex (v2)'
complete -c roomservice -n "__fish_roomservice_using_subcommand help; and not __fish_seen_subcommand_from serve keygen sign help" -f -a "sign" -d 'Print a userSig ticket'
complete -c roomservice -n "__fish_roomservice_using_subcommand help; and not __fish_seen_subcommand_from serve keygen sign help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
