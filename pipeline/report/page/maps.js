// Maps of words over the frames.

function startMaps() {}
