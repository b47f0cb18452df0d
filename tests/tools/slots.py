"""Free slots, computed a second time: one JSON case a line on stdin, one JSON list of starts a line on stdout.

An independent implementation for a comparison: it follows the words of the specification and of the API's document,
knows the zones from Python's zoneinfo (the package tzdata) and the days from dateutil, and reckons minute by minute
where the program reckons with ranges.

A case: zone; rules [{weekday 1-7, starts, ends}] in minutes of the day; overrides [{kind, from, to}] on the wall clock;
taken, external and own [[from, until]] (own: the employee's other sessions), contract [from, until] or null, lengths, length, bufferBefore, bufferAfter, notice in minutes; horizonDays;
now, from, to. Instants are minutes since 1970, UTC.
"""

import json
import sys
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

import tzdata
from dateutil import rrule, tz

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)


def minutes(at: datetime) -> int:
    return int((at - EPOCH) / MINUTE)


@lru_cache(maxsize=200_000)
def real(wall: datetime, zone: ZoneInfo) -> int:
    """The minute at which the wall clock shows a time: the first time that it does, or when it is past it."""
    while not tz.datetime_exists(wall, zone):
        wall += MINUTE
    return minutes(wall.replace(tzinfo=zone, fold=0).astimezone(timezone.utc))


class Minutes:
    """A set of minutes of a stretch of time."""

    def __init__(self, first: int, last: int):
        self.first, self.marks = first, bytearray(last - first)

    def set(self, begin: int, end: int, mark: int) -> None:
        begin, end = max(begin - self.first, 0), min(end - self.first, len(self.marks))
        if begin < end:
            self.marks[begin:end] = bytes([mark]) * (end - begin)

    def all(self, begin: int, end: int) -> bool:
        return self.marks.find(0, begin - self.first, end - self.first) == -1

    def any(self, begin: int, end: int) -> bool:
        return self.marks.find(1, begin - self.first, end - self.first) != -1


def slots(case: dict) -> list[int]:
    zone = ZoneInfo(case["zone"])
    length, rules, overrides = case["length"], case["rules"], case["overrides"]
    margin = 4 * 24 * 60
    first, last = case["from"] - margin, case["to"] + margin
    local = lambda at: (EPOCH + at * MINUTE).astimezone(zone)
    wall = lambda text: datetime.fromisoformat(text)

    open_ = Minutes(first, last)
    day_one = local(first).replace(tzinfo=None, hour=0, minute=0, fold=0)
    for rule in rules:
        week = rrule.rrule(rrule.WEEKLY, byweekday=rule["weekday"] - 1, dtstart=day_one,
                           until=local(last).replace(tzinfo=None) + timedelta(days=1))
        for day in week:
            open_.set(real(day + rule["starts"] * MINUTE, zone), real(day + rule["ends"] * MINUTE, zone), 1)
    for kind, mark in (("closed", 0), ("open", 1), ("time_off", 0)):
        for it in overrides:
            if it["kind"] == kind:
                open_.set(real(wall(it["from"]), zone), real(wall(it["to"]), zone), mark)

    busy = Minutes(first, last)
    for begin, end in case["taken"] + case["external"]:
        busy.set(begin, end, 1)

    # no buffers: it is the practitioner who wants them
    own = Minutes(first, last)
    for begin, end in case["own"]:
        own.set(begin, end, 1)
    covered_from, covered_until = case["contract"] or (first, last)

    # full and half hours, where everything fits to them; else quarters
    fine = any(it % 30 for it in case["lengths"]) or any(rule["starts"] % 30 for rule in rules)
    fine_days = set()
    for it in overrides:
        begin, end = wall(it["from"]), wall(it["to"])
        if it["kind"] == "open" and begin.minute % 30:
            # every day on which they have a minute
            midnight = begin.replace(hour=0, minute=0)
            fine_days |= {day.date() for day in rrule.rrule(rrule.DAILY, dtstart=midnight, until=end - MINUTE)}

    found = []
    for start in range(case["from"], case["to"]):
        if start < case["now"] + case["notice"] or start > case["now"] + case["horizonDays"] * 24 * 60:
            continue
        if not covered_from <= start < covered_until:
            continue
        if not open_.all(start, start + length) or own.any(start, start + length):
            continue
        if busy.any(start - case["bufferBefore"], start + length + case["bufferAfter"]):
            continue
        shown = local(start)
        step = 15 if fine or shown.date() in fine_days else 30
        # a time that the clock shows twice is offered when it shows it first
        if shown.minute % step == 0 and shown.fold == 0:
            found.append(start)
    return found


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print(tzdata.IANA_VERSION)
        return
    for line in sys.stdin:
        print(json.dumps(slots(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
