"""A collection in the frameworks that applications are built with; each module needs the extra of its name."""
