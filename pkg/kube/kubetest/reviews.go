package kubetest

import (
	"encoding/json"
	"net/http"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
)

// review answers a question about who asks and who may do what, and reports whether it was one.
func (s *Server) review(w http.ResponseWriter, r *http.Request) bool {
	kind := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if r.Method != http.MethodPost || !strings.HasSuffix(kind, "reviews") {
		return false
	}
	switch kind {
	case "selfsubjectreviews":
		var review authenticationv1.SelfSubjectReview
		_ = json.NewDecoder(r.Body).Decode(&review) // what is missing is refused below
		review.Status.UserInfo.Username = s.User
		answer(w, http.StatusCreated, review)
	case "selfsubjectaccessreviews":
		var review authorizationv1.SelfSubjectAccessReview
		_ = json.NewDecoder(r.Body).Decode(&review)
		review.Status.Allowed = s.May != nil && s.May(s.User, *review.Spec.ResourceAttributes)
		answer(w, http.StatusCreated, review)
	default:
		var review authorizationv1.SubjectAccessReview
		_ = json.NewDecoder(r.Body).Decode(&review)
		review.Status.Allowed = s.May != nil && s.May(review.Spec.User, *review.Spec.ResourceAttributes)
		answer(w, http.StatusCreated, review)
	}
	return true
}

// isCollection reports whether a path is that of objects of one kind, and not of one object.
func isCollection(path string) bool {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch parts[0] {
	case "api":
		parts = parts[min(2, len(parts)):]
	case "apis":
		parts = parts[min(3, len(parts)):]
	default:
		return false
	}
	return len(parts)%2 == 1
}
