complete -c kiosk-media -l inspect -d 'Lists the encoders and decoders of the table and whether they are installed, and exits'
complete -c kiosk-media -s h -l help -d 'Print help'
complete -c kiosk-media -s V -l version -d 'Print version'
