#!/bin/bash
# Prints what has become of a job: running, success or failed. A scheduler that does not answer, or does not know the
# job yet, means running. Usage: status.sh NUMBER
state=$(squeue --noheader --states=all --format=%T --job "$1" 2>/dev/null)
if [ -z "$state" ]; then  # forgotten some minutes after its end, where there is accounting
    state=$(sacct --noheader --allocations --format=State --jobs "$1" 2>/dev/null)
fi
case "$state" in
*COMPLETED*) echo success ;;
*BOOT_FAIL* | *CANCELLED* | *DEADLINE* | *FAILED* | *NODE_FAIL* | *OUT_OF_MEMORY* | *TIMEOUT*) echo failed ;;
*) echo running ;;
esac
