"""The report: one HTML file with everything the records say."""
