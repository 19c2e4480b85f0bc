"""Volumes and labels; the only room that imports zarr, nibabel and SimpleITK."""
