"""The journal: a study's append-only event log with one writer, and the records read from it."""
