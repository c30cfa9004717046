"""Writers of generated files that are shipped: the resource, tables of docs, dashboards."""
