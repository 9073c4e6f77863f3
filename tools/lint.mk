# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The hvkit authors

.PHONY: lint
lint:
	@mkdir -p $(B)
	@tools/lint.sh
