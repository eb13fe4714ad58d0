#!/bin/sh
# A driver in plain sh: ingress_ticks.sh FILE. A tick for every number in a file of numbers.
printf '{"type":"hello","protocol":"ergo-driver.v0"}\n'
second=0
while read -r number; do
    printf '{"type":"event","event":{"event_id":"tick-%d","kind":"Command","at":{"secs":%d,"nanos":0},' "$second" "$second"
    printf '"semantic_kind":"tick","payload":{"x":%s}}}\n' "$number"
    second=$((second + 1))
done <"$1"
printf '{"type":"end"}\n'
