"""Do the old and the new service answer alike? Answers that an edge captured meet here, by request id.

Pure: captures and the time come in, counts and samples go out. Sockets and processes stand in `roles/comparer`; what an
edge captures, in `edge/render/comparing`.
"""
