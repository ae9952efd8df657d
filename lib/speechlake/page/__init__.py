"""Pages: one HTML file that opens from disk, with nothing of it fetched from elsewhere.

What a page shows is foreign: texts, names and audio of whoever wrote the corpus. `foreign` shows text,
`differences` sets two texts side by side, `sounds` makes a clip playable, `charts` draws, `render` fills
templates with escaping on.
"""
