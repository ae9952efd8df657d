"""What a browser would see of a page: its tags and attributes, and its text."""

from __future__ import annotations

from html.parser import HTMLParser

# Attributes by which a page fetches something.
FETCHING = ("src", "href", "data", "action", "poster", "srcset", "background", "xlink:href")


class Seen(HTMLParser):
    """Tags, attributes and text of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of every tag of that name."""
        return [attributes for name, attributes in self.tags if name == tag]

    def fetched(self) -> list[str]:
        """What the page would fetch from elsewhere: all but places in itself and data: URIs."""
        asked = [
            value or ""
            for _, attributes in self.tags
            for name, value in attributes.items()
            if name in FETCHING
        ]
        return [value for value in asked if not value.startswith(("#", "data:"))]

    def handlers(self) -> list[str]:
        """Attributes that would run something."""
        return [name for _, attributes in self.tags for name in attributes if name.startswith("on")]
