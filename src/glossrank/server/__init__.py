"""The server: a page for people, three rerank dialects for programs. Needs the extra [serve]."""
