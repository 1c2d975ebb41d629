package tun

import "errors"

func openThroughHelper(config Config, path string, refusal error) (device, error) {
	return device{}, errors.Join(refusal, errors.ErrUnsupported)
}
