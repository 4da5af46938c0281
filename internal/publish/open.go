package publish

import "net/http"

func open(a Account) (driver, error) {
	switch a.Provider {
	case RFC2136:
		return openUpdate(a)
	case Cloudflare:
		return openCloudflare(a), nil
	case Aliyun:
		return openAliyun(a), nil
	default:
		return openRoute53(a)
	}
}

// client makes the requests of an account. It follows no redirection: none of the
// interfaces has any, and the secret goes with the request.
func client(a Account) *http.Client {
	return &http.Client{Transport: a.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}
