"""Reading DICOM headers: files in, series out; pixels are never decoded."""
