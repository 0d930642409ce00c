"""One file per external API; the only importers of the API libraries."""
