"""Reports on a study, from its record: tables, figures, comparisons and a page."""
