package mgm

// Lists whose elements remember their places: an element is removed without a search.

// place appends x to list, and notes its place in slot.
func place[T any](list []T, x T, slot *int32) []T {
	*slot = int32(len(list))
	return append(list, x)
}

// displace removes the element at place at; the last one moves there. slot returns where
// an element keeps its place.
func displace[T any](list []T, at int32, slot func(T) *int32) []T {
	last := len(list) - 1
	list[at] = list[last]
	*slot(list[at]) = at
	clear(list[last:])
	return list[:last]
}
