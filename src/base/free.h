// A unique_ptr's deleter for what a C library frees by a function of its own: std::unique_ptr<BIO,
// Free<BIO_free>>.
#pragma once

namespace bastide {

template <auto function>
struct Free {
  template <class T>
  void operator()(T* p) const {
    function(p);
  }
};

}  // namespace bastide
