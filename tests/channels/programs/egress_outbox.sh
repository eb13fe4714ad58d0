#!/bin/sh
# A channel in plain sh: egress_outbox.sh FILE KIND. Keeps every frame in FILE and acknowledges without a reference.
printf '{"type":"ready","protocol":"ergo-egress.v1","handled_kinds":["%s"]}\r\n' "$2"
while IFS= read -r line; do
    printf '%s\n' "$line" >>"$1"
    case $line in
    *'"type":"end"'*) exit 0 ;;
    esac
    id=$(printf '%s' "$line" | sed 's/.*"intent_id":"\([^"]*\)".*/\1/')
    printf '{"type":"intent_ack","intent_id":"%s","status":"accepted","acceptance":"durable"}\n' "$id"
done
