package report

// Texts are the sentences of this package.
var Texts = texts
