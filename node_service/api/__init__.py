"""The node's HTTP interface (docs/formats/http.md): routers translate, use cases decide."""
