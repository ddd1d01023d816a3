"""The page's figures as inline SVG; only these modules of the page use matplotlib."""
