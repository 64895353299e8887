"""All that is printed beside the papers: tables, figures, the report."""
