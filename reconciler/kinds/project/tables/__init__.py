"""The tables of mesh-six's database that projects are looked up in."""
