"""Settings of the documentation site: `tox -e docs` builds it from the Markdown files beside this one."""

project = "video-distillation-bench"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = project
html_copy_source = False
myst_heading_anchors = 4
nitpicky = True
