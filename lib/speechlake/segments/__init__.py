"""Long recordings -> utterances: heard once as a stream, cut where nobody speaks."""
