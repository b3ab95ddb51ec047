package outputs

// For the tests of paging.
var PageOf = pageOf

const (
	PageBytes = pageBytes
	PageLines = pageLines
)
