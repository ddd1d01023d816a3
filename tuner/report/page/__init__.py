"""The report page of a study: one self-contained HTML file, and a Markdown twin."""
