"""Reads a feed from standard input with two independent readers of RSS, and prints what they understand.

feedparser says what is malformed (its "bozo" bit); rss-parser checks against typed models what RSS 2.0 demands; xmllint holds
it against rss.rng beside this file: what must be there, how often, dates of RFC 822, addresses, and nothing else. Beyond them:
what a schema cannot say, that days of the week are those of their dates, ids are each item's own, and the newest comes first.
"""

import email.utils
import json
import pathlib
import subprocess
import sys
import urllib.parse
import xml.etree.ElementTree as tree

import feedparser
from rss_parser import RSSParser

feed = sys.stdin.buffer.read()

read = feedparser.parse(feed, response_headers={"content-type": "application/rss+xml; charset=utf-8"})
if read.bozo:
    sys.exit(f"feedparser: {read.bozo_exception!r}")
if read.version != "rss20":
    sys.exit(f"feedparser: this is {read.version!r}")

typed = RSSParser.parse(feed.decode("utf-8"))
if str(typed.version.content if hasattr(typed.version, "content") else typed.version) != "2.0":
    sys.exit(f"rss-parser: version {typed.version!r}")

schema = pathlib.Path(__file__).with_name("rss.rng")
held = subprocess.run(["xmllint", "--noout", "--nonet", "--relaxng", schema, "-"], input=feed, capture_output=True, check=False)
if held.returncode != 0:
    sys.exit(f"xmllint: {held.stderr.decode()}")

channel = tree.fromstring(feed).find("channel")
for date in channel.iter():
    if date.tag not in ("pubDate", "lastBuildDate"):
        continue
    if not date.text.startswith(email.utils.parsedate_to_datetime(date.text).strftime("%a")):
        sys.exit(f"another day of the week: {date.text}")
dates = [email.utils.parsedate_to_datetime(it.findtext("pubDate")) for it in channel.findall("item")]
if dates != sorted(dates, reverse=True):
    sys.exit("older ones come first")
for name in ("title", "link", "description"):
    if not channel.findtext(name):
        sys.exit(f"the channel has no {name}")
guids = set()
for item in channel.findall("item"):
    if not (item.findtext("title") or item.findtext("description")):
        sys.exit("an item has neither title nor description")
    if item.find("link") is not None and urllib.parse.urlsplit(item.findtext("link")).scheme not in ("http", "https"):
        sys.exit(f"no address: {item.findtext('link')}")
    if email.utils.parsedate_to_datetime(item.findtext("pubDate")).tzinfo is None:
        sys.exit(f"no date of RFC 822: {item.findtext('pubDate')}")
    if item.findtext("guid") in guids:
        sys.exit(f"two items are {item.findtext('guid')}")
    guids.add(item.findtext("guid"))

print(
    json.dumps(
        {
            "title": read.feed.title,
            "language": read.feed.language,
            "self": next(link.href for link in read.feed.links if link.rel == "self"),
            "items": [
                {"title": it.title, "summary": it.summary, "link": it.get("link"), "category": it.tags[0].term, "id": it.id}
                for it in read.entries
            ],
            "typed": len(typed.channel.items),
        }
    )
)
