"""Reference methods: coresets and the full data, one file each. A file dropped in here is a plugin."""
