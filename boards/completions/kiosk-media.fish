complete -c kiosk-media -l try -d 'Encodes and decodes 30 test pictures with this encoder or decoder; fails when it fails, hangs or gives others' -r
complete -c kiosk-media -l picture -d 'With --check: saves what the camera sees there' -r -F
complete -c kiosk-media -l inspect -d 'Lists the encoders and decoders of the table: whether they are installed, whether this program ever ran them, what is known to go wrong with them'
complete -c kiosk-media -l settings -d 'Reads the worker\'s settings as JSON from stdin, for --try'
complete -c kiosk-media -l json -d 'Prints JSON'
complete -c kiosk-media -l check -d 'For `kioskd doctor`: reads settings as JSON from stdin, tries codecs, microphone and speaker, and says what it finds as lines of JSON'
complete -c kiosk-media -s h -l help -d 'Print help'
complete -c kiosk-media -s V -l version -d 'Print version'
