"""Reads a calendar file from standard input with the `icalendar` package and prints what it understood as JSON."""
import json
import sys
from datetime import timezone

from icalendar import Calendar

calendar = Calendar.from_ical(sys.stdin.buffer.read())
if calendar.errors or any(event.errors for event in calendar.walk("VEVENT")):
    sys.exit(f"errors: {calendar.errors}")


def utc(event, name):
    at = event.decoded(name)
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z") if at.tzinfo else "floating"


def party(value):
    return {"address": str(value), **{name.lower(): str(text) for name, text in value.params.items()}}


def parties(event, name):
    found = event.get(name, [])
    return [party(value) for value in (found if isinstance(found, list) else [found])]


print(json.dumps({
    "version": str(calendar.get("VERSION")),
    "prodid": str(calendar.get("PRODID")),
    "method": str(calendar.get("METHOD")),
    "events": [{
        "uid": str(event.get("UID")),
        "sequence": int(event.get("SEQUENCE")),
        "dtstamp": utc(event, "DTSTAMP"),
        "startsAt": utc(event, "DTSTART"),
        "endsAt": utc(event, "DTEND"),
        "summary": str(event.get("SUMMARY")),
        "status": str(event.get("STATUS")),
        "class": str(event.get("CLASS")),
        "organizer": parties(event, "ORGANIZER"),
        "attendees": parties(event, "ATTENDEE"),
    } for event in calendar.walk("VEVENT")],
}))
