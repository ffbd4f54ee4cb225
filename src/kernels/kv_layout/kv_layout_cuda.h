#pragma once
// The inside of a KV page on a GPU: K and V areas of a layer are both [num_kv_heads][block_size][head_dim]. The struct
// is the CPU's KvLayerView; k_head() and v_head() give the first token of a head, token i is i * head_dim elements
// further.
#include "kernels/kv_layout/kv_layout.h"
